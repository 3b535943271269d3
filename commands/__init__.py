"""The command line and the composition: a file a command, and the only place that puts links and
paces around workers."""
