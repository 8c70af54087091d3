"""The groove lab: humanize, drumify, transfer, fill in, continue, given what a player keeps."""
