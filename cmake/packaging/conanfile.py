# Conan 2, from the tree that it lies in:
#
#   conan create cmake/packaging --build=missing
#
# Its users find dynofa by its own CMake package, with its components; that package finds the others by what CMakeDeps and PkgConfigDeps write.
import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain
from conan.tools.files import copy, load
from conan.tools.gnu import PkgConfigDeps

TABLE = "dependencies.cmake"  # the one list of libraries


class Dynofa(ConanFile):
    name = "dynofa"
    description = "One super-network, a family of sub-networks, switched at run time"
    license = "MIT"
    package_type = "static-library"
    settings = "os", "compiler", "build_type", "arch"

    def _tree(self):
        return os.path.join(self.recipe_folder, "..", "..")

    def set_version(self):
        header = load(self, os.path.join(self._tree(), "include/dynofa/core/version.hpp"))
        self.version = ".".join(re.findall(r"#define DYNOFA_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", header))

    def export(self):  # beside the recipe, which is read again where the tree is not
        copy(self, TABLE, src=os.path.join(self._tree(), "cmake"), dst=self.export_folder)

    def export_sources(self):
        for pattern in ("CMakeLists.txt", "LICENSE", "cmake/*", "include/*", "src/*", "backends/*", "simulate/*"):
            copy(self, pattern, src=self._tree(), dst=self.export_sources_folder)

    def requirements(self):
        table = os.path.join(self.recipe_folder, TABLE)
        if not os.path.exists(table):
            table = os.path.join(self._tree(), "cmake", TABLE)
        for row in re.findall(r'^ *"(.*\|.*)"', load(self, table), re.MULTILINE):
            cells = [cell.strip() for cell in row.split("|")]
            name, _, below = cells[5].partition(" ")
            if name == "-":
                continue
            version = re.search(r" ([0-9.]+)", cells[1])
            bounds = " ".join(([">=" + version[1]] if version else []) + ([below] if below else []))
            headers = {"transitive_headers": True}
            if name == "boost":
                headers["options"] = {"header_only": True}
            self.requires(f"{name}/[{bounds or '*'}]", **headers)

    def validate(self):
        check_min_cppstd(self, 20)

    def generate(self):
        toolchain = CMakeToolchain(self)
        for part in ("TESTS", "EXAMPLES", "BENCHMARKS"):
            toolchain.cache_variables["DYNOFA_" + part] = False
        toolchain.cache_variables["DYNOFA_CUDA"] = "OFF"
        toolchain.cache_variables["CMAKE_INSTALL_LIBDIR"] = "lib"
        toolchain.generate()
        CMakeDeps(self).generate()
        PkgConfigDeps(self).generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        copy(self, "LICENSE", src=self.source_folder, dst=os.path.join(self.package_folder, "licenses"))
        CMake(self).install()

    def package_info(self):
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = ["lib/cmake/dynofa"]
