"""The experiments of the command line: the tables and figures of the model cards.

Most of them concern the shipped models, and support only sixteenths in 4/4.
"""
