"""What one does with a run that has ended: ask it, give it more classes, hand it on."""
