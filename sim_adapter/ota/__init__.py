"""Over the air: secured packets, short messages, SMPP, and the gateway that drives a card."""
