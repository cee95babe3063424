"""The box as a thing to look after: its health, its figures, what it is, and who keeps watch over it."""
