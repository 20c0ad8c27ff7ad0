"""What `pyproject.toml` can't say: the scoring kernel, each of its variants with flags of its own.

The kernel is optional. Without a C++ compiler, or without Python's headers, installing warns and
goes on, and `model/fused.py` scores with torch.
"""

import platform
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNEL = "model/kernel"
FLAGS = [
    "-std=c++17",
    "-O3",
    "-fno-math-errno",
    "-ffp-contract=fast",
    "-fvisibility=hidden",
]
X86 = {
    "avx512.cpp": ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512vnni", "-mavx2", "-mfma"],
    "avx2.cpp": ["-mavx2", "-mfma"],
}
VARIANTS = {"x86_64": X86, "AMD64": X86, "aarch64": {"neon.cpp": []}, "arm64": {"neon.cpp": []}}


class BuildKernel(build_ext):
    """Compiles the variants of this processor and links them to the rest."""

    def build_extension(self, extension: Extension) -> None:
        for source, flags in VARIANTS.get(platform.machine(), {}).items():
            extension.extra_objects += self.compiler.compile(
                [f"{KERNEL}/{source}"],
                output_dir=self.build_temp,
                extra_postargs=[*FLAGS, *flags],
                depends=extension.depends,
            )
        super().build_extension(extension)


setup(
    ext_modules=[
        Extension(
            "model._kernel",
            [f"{KERNEL}/module.cpp", f"{KERNEL}/portable.cpp"],
            depends=sorted(str(path) for path in Path(KERNEL).iterdir()),
            extra_compile_args=FLAGS,
            language="c++",
            optional=True,
        )
    ],
    cmdclass={"build_ext": BuildKernel},
)
