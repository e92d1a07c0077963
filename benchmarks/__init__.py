"""How fast the parts are on this machine. Run from the root of a checkout, such as: python -m benchmarks.engine"""
