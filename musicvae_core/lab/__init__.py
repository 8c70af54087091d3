"""The groove lab: humanize, drumify, transfer, fill in and continue a player's groove."""
