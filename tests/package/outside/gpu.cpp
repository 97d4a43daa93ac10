#include <dynofa/backend/cuda.hpp>

#include <iostream>

int main() {
  try {
    std::cout << dynofa::backend::cuda{}.name() << '\n';
  } catch (const dynofa::error& e) {
    std::cout << e.what() << '\n'; // a machine without a GPU
  }
}
