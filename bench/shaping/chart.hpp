// The claim as a picture: what part of the tier is used and how many calls fail, by offered load, on the three ways.
#pragma once

#include <string>
#include <vector>

#include "shaping/claims.hpp"

namespace weir::bench {

std::string draw_chart(const std::vector<LoadRow>& rows);  // SVG

}  // namespace weir::bench
