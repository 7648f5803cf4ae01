"""The engine: owns time, memory and device; headless, arrays in, results out.

It prints nothing, opens no file and touches no global state.
"""
