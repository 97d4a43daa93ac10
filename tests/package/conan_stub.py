"""conan_stub.py RECIPE FOLDER: runs the steps of a Conan recipe before a build, without Conan, and prints what they say.

Its version, its libraries and the sources that it exports. What generate(), build() and package() do is Conan, and not tested.
"""
import glob
import importlib.util
import os
import shutil
import sys
import types


def copy(_, pattern, src, dst):
    for path in glob.glob(os.path.join(src, pattern)):
        target = os.path.join(dst, os.path.relpath(path, src))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copytree(path, target, dirs_exist_ok=True) if os.path.isdir(path) else shutil.copy(path, target)


def load(_, path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class ConanFile:
    def requires(self, reference, **_):
        print("requires", reference)


def module(name, **members):
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(members)


sys.dont_write_bytecode = True
recipe, folder = sys.argv[1:]
module("conan", ConanFile=ConanFile)
module("conan.tools")
module("conan.tools.build", check_min_cppstd=None)
module("conan.tools.cmake", CMake=None, CMakeDeps=None, CMakeToolchain=None)
module("conan.tools.files", copy=copy, load=load)
module("conan.tools.gnu", PkgConfigDeps=None)
spec = importlib.util.spec_from_file_location("conanfile", recipe)
conanfile = importlib.util.module_from_spec(spec)
spec.loader.exec_module(conanfile)

dynofa = conanfile.Dynofa()
dynofa.recipe_folder = os.path.dirname(recipe)
dynofa.set_version()
print("version", dynofa.version)
dynofa.export_folder = os.path.join(folder, "export")
os.makedirs(dynofa.export_folder, exist_ok=True)
dynofa.export()
dynofa.export_sources_folder = os.path.join(folder, "sources")
dynofa.export_sources()
dynofa.recipe_folder = dynofa.export_folder  # from here on the tree is out of sight
dynofa.requirements()
