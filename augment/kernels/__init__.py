"""What is computed on pixels: some fifteen formulas in integers, each by two backends to the same bits.

    kinds.py     the kernels as data, which ops describe what they do with
    tables.py, maps.py, weights.py, streams.py
                 tables of levels, places, resampling weights and randomness by the pixel,
                 made of integers in lines that NumPy and TensorFlow share
    formulas.py  what each kernel computes, read plainly: the reference
    host/        the same in NumPy and OpenCV, for one image, as fast as can be
    device/      the same in TensorFlow: eager, in graphs, under XLA, on GPUs; batches too
                 Both by family: index, warp, resize, levels, color, filters, grain, jpeg
    canary.py    whether this machine computes what every other does

Nothing here but device imports TensorFlow when it works on NumPy arrays.
"""
