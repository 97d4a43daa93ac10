# Packs what is built, unpacks the .deb into a folder and builds the README's program against it, in two commands.
#
#   cmake -DBUILD=dir -DWORK=dir -DCOMPILER=g++ -DGENERATOR=Ninja -DVERSION=0.1.0 -P deb.cmake
cmake_minimum_required(VERSION 3.22)
include(${CMAKE_CURRENT_LIST_DIR}/support.cmake)
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
run("cpack" ${CMAKE_CPACK_COMMAND} -G DEB -B ${WORK} --config ${BUILD}/CPackConfig.cmake)
file(GLOB package ${WORK}/libdynofa-dev_${VERSION}_*.deb)
run("reading the package" dpkg-deb --field ${package})
foreach(field "Version: ${VERSION}\n" "Depends: libboost-dev [^\n]*, libxxhash-dev\n" "Recommends: [^\n]*libxtensor-dev"
        "Maintainer: the dynofa authors" "Description: One super-network")
  expect("the package" "${output}" "${field}")
endforeach()
run("unpacking" dpkg-deb -x ${package} ${WORK}/root)
file(GLOB_RECURSE installed RELATIVE ${WORK}/root ${WORK}/root/*)
foreach(file "usr/share/doc/libdynofa-dev/copyright" "usr/lib/[^;]*libdynofa_runtime.a" "usr/lib/[^;]*libdynofa_cpu_compiled.a"
        "usr/include/dynofa/dynofa.hpp" "usr/include/dynofa/backend/cpu.hpp" "usr/lib/[^;]*dynofaConfig.cmake" "usr/lib/[^;]*dynofa.pc")
  expect("files of the package" "${installed}" "${file}")
endforeach()
build_readme_program(${WORK} -DCMAKE_PREFIX_PATH=${WORK}/root/usr)
file(STRINGS ${WORK}/build/CMakeCache.txt found REGEX "^dynofa_DIR:")
expect("the package that was found" "${found}" "${WORK}/root")
