"""What pages share: the deck, the words for a groove, the session, the cached `Studio`."""
