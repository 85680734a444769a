#!/bin/sh
# Examples of its settings; the blueprint writes those of the environment.
environment=example
router=cn.example.org
host=cn-1.example.org
administrators=administrators@example.org

# certbot runs this after a renewal. Its name has no dot: run-parts skips names with one.
set -u
mail -s "$environment: the certificate of $router was renewed on $host" "$administrators" <<END
certbot has renewed the certificate of $router
(names: ${RENEWED_DOMAINS:-not given}) on $host.

The other hosts still serve the old one. To see and then carry out what is due:

    reconcile plan $environment
    reconcile apply $environment
END
