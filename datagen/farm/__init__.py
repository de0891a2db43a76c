"""Many workers, one corpus: Ray actors that render clips, and the driver that hands them out."""
