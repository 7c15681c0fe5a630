"""The upstream inference API over the network; `acestep.inference` and the two handlers are its doors."""
