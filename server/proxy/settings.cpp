#include "proxy/settings.hpp"

template class std::vector<weir::proxy::ClientKey>;
template class std::vector<weir::proxy::ErrorRule>;
template class std::vector<weir::proxy::ModelProfile>;
template class std::vector<weir::proxy::ModelRoute>;
template class std::vector<weir::proxy::Team>;
template class std::vector<weir::proxy::Upstream>;
