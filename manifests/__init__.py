"""What a clip is, what a corpus holds, and where it lies. The ground floor: it imports no other room."""
