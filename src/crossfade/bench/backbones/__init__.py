"""Old and new ResNets, trained on a data set that the user has."""
