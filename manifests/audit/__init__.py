"""Whether a corpus is sound: what is checked, how it is spread, what was found."""
