"""Validation of signed documents (ETSI EN 319 102-1), whoever signed them.

Each format is read by a module of its own (:mod:`.pdf`, :mod:`.cms`, :mod:`.xades`, :mod:`.jades`,
:mod:`.asic`) into the same facts (:mod:`.model`): what is signed, by which certificate, whether the
bytes fit, which time stamps cover what. One judge (:mod:`.judge`) then says for all of them what
the facts prove. Nothing here knows how this service makes signatures.
"""
