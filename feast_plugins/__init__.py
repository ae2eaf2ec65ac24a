"""What Feast lacks and several exercises use; depends on feast, and on nothing else here."""
