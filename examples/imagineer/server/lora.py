"""A very small LoRA: a matrix of captions' words is approximated by two thin ones, A·B, by gradient descent."""

import random
import zlib

SIZE, RANK, RATE = 12, 2, 0.05


def target(captions):
    """The matrix to be learnt: how often two words (by their hashes) stand in one caption."""
    matrix = [[0.0] * SIZE for _ in range(SIZE)]
    for caption in captions:
        words = [zlib.crc32(word.encode()) % SIZE for word in caption.split()]
        for row in words:
            for column in words:
                matrix[row][column] = min(1.0, matrix[row][column] + 0.2)
    return matrix


def train(matrix, steps):
    """Yields the loss after each step, beginning with that of a random start."""
    dice = random.Random(1)  # noqa: S311 (not a secret)
    a = [[dice.uniform(-0.5, 0.5) for _ in range(RANK)] for _ in range(SIZE)]
    b = [[dice.uniform(-0.5, 0.5) for _ in range(SIZE)] for _ in range(RANK)]
    for _ in range(steps):
        errors = [
            [sum(a[i][k] * b[k][j] for k in range(RANK)) - matrix[i][j] for j in range(SIZE)] for i in range(SIZE)
        ]
        yield sum(error * error for row in errors for error in row)
        for i in range(SIZE):
            for j in range(SIZE):
                for k in range(RANK):
                    a_ik = a[i][k]
                    a[i][k] -= RATE * errors[i][j] * b[k][j]
                    b[k][j] -= RATE * errors[i][j] * a_ik
