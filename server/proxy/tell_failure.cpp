#include "proxy/tell_failure.hpp"

#include "protocol/error_body.hpp"

namespace weir::proxy {

void tell_failure(Session& session, Downstream& downstream, FailureForm form, const Refusal& refusal, protocol::Api api,
                  std::string_view request_id) {
  if (!downstream.committed() || downstream.finished()) return;
  if (form == FailureForm::broken) return downstream.break_off();
  const std::string event = protocol::write_error_event(error_answer(refusal, api), api, request_id);
  const std::string_view data = event;
  downstream.add_trailer("x-weir-error", code_in_header(refusal));
  downstream.send(std::span<const std::string_view>(&data, 1), Downstream::End::complete);
  // A connection whose answer ended in good order may go on, unless weir itself is the reason.
  if (session.insisted()) session.close_after_this();
}

}  // namespace weir::proxy
