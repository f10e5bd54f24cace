#!/bin/sh
# Runs an example; it passes when the example ends without an error.
exec "$@"
