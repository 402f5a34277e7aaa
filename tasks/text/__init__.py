"""Text foundations: tokenizer, chat template and loss mask, source structure, n-grams and MinHash, secret scan.
Imports only base.
"""
