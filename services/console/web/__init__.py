"""What every page stands on: who is signed in, what they may do, how a page is drawn and kept live."""
