"""Documents that a portal attaches to a request, so that the signer sees what he signs.

:mod:`.inspection` says what may be shown, :mod:`.binding` whether the hash follows from it,
:mod:`.vault` keeps the bytes and :mod:`.register` the rows; :mod:`.pictures` draws pages. Nothing
here decides about keys: docs/what-you-see.md says what this is worth and what it is not.
"""
