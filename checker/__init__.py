"""Grade any solution by the 35 success criteria of the exercises."""
