"""What lies in files that hold several: the members of a tar, the features of a `tf.train.Example`.

Both are read by their structure alone, and say where their contents lie, which nobody has to have in memory.
"""
