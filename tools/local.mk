# The console tools: public headers only.
