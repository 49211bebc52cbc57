"""What people see of audits and of training: pages, figures, contact sheets, tables.

It proves and trains nothing: it shows what `audit` and `train` found, and they know nothing of it.
"""
