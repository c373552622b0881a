"""ETSI TS 102 204 messages: model objects, and two wires (SOAP 1.2, JSON) over them."""
