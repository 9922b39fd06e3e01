"""`make bench`: how fast the Certificates page answers, beside django-x509's admin list in the same run."""
