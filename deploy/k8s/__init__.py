"""The manifests of a Kubernetes installation, for platform teams, and the check of what they promise."""
