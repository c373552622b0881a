"""The application provider's side of TS 102 204: asking operators, and hearing from them."""
