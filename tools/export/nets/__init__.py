"""Published networks, written anew so that their official checkpoints load: one file each."""
