"""The OAuth 2.0 authorization server, one file for each standard that it follows.

It stands on authlib's framework-free core (``authlib.oauth2.rfc6749.AuthorizationServer``): the
registries of grants and endpoints, the request and the error objects. What authlib does not have is
written here: PAR, RAR, DPoP, mutual TLS. What it does too loosely is replaced: its code grant looks
a code up, then issues, then deletes (100 of 100 codes were redeemed twice in parallel), its PKCE
extension accepts ``plain`` and lets confidential clients go without, its tokens live for ten days.

No grant here reads before it writes: each calls one guarded statement that uses the code or the
refresh token up, or refuses.
"""
