"""How the base model's samples begin: with nothing but a document's start, a user's turn, or what files begin with.

The openings of `code` are written for this project. They name no repository; what follows is the model's own.
"""

from __future__ import annotations

from typing import Final

from tasks.mixture.params import Stream
from tasks.text.chat import user_turn
from tasks.text.tokenizer import TextTokenizer

CODE: Final = (
    "#!/bin/bash\n",
    "#!/usr/bin/env python3\n",
    "import os\n",
    "import numpy as np\n",
    "import React from 'react';\n",
    "import { useState } from 'react';\n",
    "import java.util.List;\n",
    "from dataclasses import dataclass\n",
    "from typing import",
    "using System;\n",
    "use std::collections::HashMap;\n",
    "package main\n",
    "package com.example",
    "#include <stdio.h>\n",
    "#include <vector>\n",
    "#ifndef ",
    "const express = require('express');\n",
    "module.exports = {\n",
    "export default function ",
    "export interface ",
    "export const ",
    "public class ",
    "public static void main(",
    "class ",
    "def ",
    "async def ",
    "func ",
    "fn main() {\n",
    "impl ",
    "struct ",
    "interface ",
    "function ",
    "@Override\n",
    "@app.route(",
    "require 'rails_helper'\n",
    "module ",
    "<?php\n",
    "<!DOCTYPE html>\n",
    "<template>\n",
    '<?xml version="1.0"',
    "SELECT ",
    "CREATE TABLE ",
    "BEGIN;\n",
    "FROM python:3",
    "version: '3'\nservices:\n",
    "name: CI\non:\n",
    "[package]\nname = ",
    '{\n  "name": ',
    '{\n  "version": ',
    ".container {\n",
    "body {\n  font-family: ",
    "# Makefile\n",
    "all: build\n",
    "library(ggplot2)\n",
    "val ",
    "object Main extends App {\n",
    "// main.go\n",
    "// src/index.js\n",
    "// src/components/App.tsx\n",
    "# src/main.py\n",
    "# app/models/user.rb\n",
    "/* style.css */\n",
    "-- schema.sql\n",
    "# config.yaml\n",
    "# setup.py\n",
    "# tests/test_",
    "File: src/utils.py\n",
    "File: lib/index.ts\n",
    "diff --git a/",
    "--- a/src/",
    "@@ -1,",
    "```python\n",
    "```javascript\n",
    "```typescript\n",
    "```java\n",
    "```bash\n",
    "```sql\n",
    "```html\n",
    "```json\n",
    "```c\n",
    "```go\n",
    "```rust\n",
    "```\n",
    '"""',
    "/**\n * ",
    "/*\n * ",
    "// Copyright ",
    "# Copyright ",
    "# -*- coding: utf-8 -*-\n",
    "'use strict';\n",
)
"""In the order in which samples are begun with them, one after the other, over and over."""


def opening(tokenizer: TextTokenizer, stream: Stream, number: int) -> list[int]:
    """The given ids that sample `number` of a stream begins with; the first is a start token where the model has one.

    Raises:
        InputError: the stream is `chat` and the template cannot be sampled from.
    """
    if stream is Stream.CHAT:
        return list(user_turn(tokenizer).before)
    start = list(tokenizer.prefix_ids) or [tokenizer.end_of_document]
    return start + (tokenizer.encode(CODE[number % len(CODE)]) if stream is Stream.CODE else [])
