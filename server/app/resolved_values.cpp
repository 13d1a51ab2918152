#include "app/resolved_values.hpp"

namespace weir::app {

proxy::Limits to_limits(const LimitsConfig& config) {
  const auto finite = [](const std::optional<std::uint64_t>& value) {
    return value && *value != unlimited ? value : std::nullopt;
  };
  proxy::Limits limits;
  limits.rpm = finite(config.rpm);
  limits.rpd = finite(config.rpd);
  limits.tpm = finite(config.tpm);
  limits.tpd = finite(config.tpd);
  limits.input_tpm = finite(config.input_tpm);
  limits.output_tpm = finite(config.output_tpm);
  limits.concurrency = finite(config.concurrency);
  limits.concurrency_said = config.concurrency.has_value();
  limits.burst = finite(config.burst);
  if (config.window) limits.window = *config.window;
  if (config.guard) limits.guard = *config.guard;
  if (config.pacing) limits.pacing = *config.pacing;
  if (config.day_reset) limits.day_reset = *config.day_reset;
  return limits;
}

void take_shape(proxy::Limits& limits, const proxy::Limits& account) {
  const proxy::Limits unsaid;
  if (limits.window == unsaid.window) limits.window = account.window;
  if (limits.guard == unsaid.guard) limits.guard = account.guard;
  if (limits.pacing == unsaid.pacing) limits.pacing = account.pacing;
  if (limits.day_reset == unsaid.day_reset) limits.day_reset = account.day_reset;
}

proxy::UpstreamTimeouts to_timeouts(std::initializer_list<const UpstreamTimeoutsConfig*> levels) {
  proxy::UpstreamTimeouts result;
  const auto pick = [&](Duration& into, std::optional<Duration> UpstreamTimeoutsConfig::* field) {
    for (const UpstreamTimeoutsConfig* level : levels) {
      if (!(level->*field)) continue;
      into = *(level->*field);
      return;
    }
  };
  pick(result.connect, &UpstreamTimeoutsConfig::connect);
  pick(result.tls, &UpstreamTimeoutsConfig::tls);
  pick(result.first_byte, &UpstreamTimeoutsConfig::first_byte);
  pick(result.first_content, &UpstreamTimeoutsConfig::first_content);
  pick(result.content_gap, &UpstreamTimeoutsConfig::content_gap);
  pick(result.byte_gap, &UpstreamTimeoutsConfig::byte_gap);
  pick(result.total, &UpstreamTimeoutsConfig::total);
  return result;
}

}  // namespace weir::app
