"""Where vectors and matrices live: catalog, FAISS, snapshot. Knows no torch model and no HTTP."""
