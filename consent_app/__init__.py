"""The official's phone: an installable web page that shows a request and takes the consent."""
