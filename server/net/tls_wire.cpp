// TLS over a socket's descriptor, by OpenSSL.
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <csignal>
#include <stdexcept>

#include "net/socket_base.hpp"

namespace weir::net {
namespace {

std::string words_of(unsigned long code) {
  std::array<char, 256> text{};
  ERR_error_string_n(code, text.data(), text.size());
  const char* reason = ERR_reason_error_string(code);
  return reason ? reason : text.data();
}

std::string openssl_error() {
  const unsigned long code = ERR_peek_last_error();
  return code == 0 ? "the connection broke" : words_of(code);
}

// Why a file cannot be used: what OpenSSL noted first, which what it noted later only repeats in fewer words.
std::runtime_error unusable(const std::string& file, const std::string& what) {
  return std::runtime_error("TLS: cannot use " + file + " as the PEM file of " + what + ": " +
                            words_of(ERR_peek_error()));
}

class OpenSslWire final : public TlsWire, private SocketBase {
 public:
  OpenSslWire(Socket socket, const SslContextPtr& context, Role role, const std::string& server_name)
      : SocketBase(std::move(socket)), ssl_(SSL_new(context.get())) {
    SSL_set_fd(ssl_.get(), fd());
    if (role == Role::server) {
      SSL_set_accept_state(ssl_.get());
      return;
    }
    SSL_set_connect_state(ssl_.get());
    boost::system::error_code not_an_address;
    const auto address = boost::asio::ip::make_address(server_name, not_an_address);
    X509_VERIFY_PARAM* expected = SSL_get0_param(ssl_.get());
    if (not_an_address) {
      SSL_set_tlsext_host_name(ssl_.get(), server_name.c_str());
      SSL_set1_host(ssl_.get(), server_name.c_str());
    } else if (address.is_v4()) {
      const auto bytes = address.to_v4().to_bytes();
      X509_VERIFY_PARAM_set1_ip(expected, bytes.data(), bytes.size());
    } else {
      // By its bytes: OpenSSL does not read every spelling (a scope), and would then check no name at all.
      const auto bytes = address.to_v6().to_bytes();
      X509_VERIFY_PARAM_set1_ip(expected, bytes.data(), bytes.size());
    }
  }
  ~OpenSslWire() override { close_tls(); }

  IoStep handshake() override {
    if (fd() < 0) return {IoStep::Status::failed, 0};
    ERR_clear_error();
    errno = 0;
    const IoStep step = outcome(SSL_do_handshake(ssl_.get()));
    // Its last read may have brought the peer's first bytes with it: they are in OpenSSL, and no socket will ring for
    // them.
    if (step.status == IoStep::Status::done) drained_ = false;
    return step;
  }
  bool wants_write() const override { return wants_write_; }
  bool failed_for_good() const override { return failed_for_good_; }

  IoStep try_read(std::span<char> into) override {
    // OpenSSL keeps the number of the descriptor, which is another connection's after close().
    if (fd() < 0) return {IoStep::Status::failed, 0};
    std::size_t got = 0;
    ERR_clear_error();
    errno = 0;
    const int result = SSL_read_ex(ssl_.get(), into.data(), into.size(), &got);
    if (result > 0) {
      drained_ = false;
      return {IoStep::Status::done, got};
    }
    const IoStep step = outcome(result);
    drained_ = true;
    read_wants_write_ = wants_write_;
    return step;
  }

  // TLS has no gathering write: small pieces (a chunk header, an event, a line end) go out as one record.
  // After a write that would block OpenSSL wants the same bytes again, as many at least: callers repeat from where they
  // were with all that is left, so it gets them.
  IoStep try_write(std::span<const std::string_view> pieces, std::size_t from_byte) override {
    if (fd() < 0) return {IoStep::Status::failed, 0};
    std::array<char, 16 * 1024> record;
    std::size_t total = 0, piece = 0, offset = from_byte;
    for (;;) {
      std::size_t filled = 0;
      for (std::size_t i = piece, from = offset; i < pieces.size() && filled < record.size(); ++i, from = 0) {
        const std::string_view part = pieces[i].substr(from, record.size() - filled);
        if (!part.empty()) std::memcpy(record.data() + filled, part.data(), part.size());
        filled += part.size();
      }
      if (filled == 0) return {IoStep::Status::done, total};
      std::size_t sent = 0;
      ERR_clear_error();
      errno = 0;
      const int result = SSL_write_ex(ssl_.get(), record.data(), filled, &sent);
      if (result <= 0) {
        const IoStep step = outcome(result);
        return total > 0 && step.status == IoStep::Status::would_block ? IoStep{IoStep::Status::done, total} : step;
      }
      total += sent;
      for (offset += sent; piece < pieces.size() && offset >= pieces[piece].size(); ++piece)
        offset -= pieces[piece].size();
    }
  }

  void wait_readable(Bell bell) override {
    if (!drained_ && SSL_has_pending(ssl_.get())) return ring_readable_soon(bell);
    if (read_wants_write_) return arm_readable_by_writing(bell);
    arm_readable(bell);
  }
  void wait_writable(Bell bell) override { arm_writable(bell); }
  void wait_hangup(Bell bell) override { watch_hangup(bell); }
  bool hung_up() const override { return peer_hung_up(); }
  void drop_bells() override { disarm(); }
  void close() override { close_tls(); }
  void abort() override { abort_socket(); }
  void shutdown_write() override {
    if (fd() < 0) return;
    goodbye();
    ::shutdown(fd(), SHUT_WR);
  }
  std::string peer_address() const override { return address(); }
  std::string error_text() const override { return error_; }

 private:
  void goodbye() {
    if (fd() < 0 || failed_ || !SSL_is_init_finished(ssl_.get())) return;
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
  }
  void close_tls() {
    goodbye();
    close_socket();
  }

  IoStep outcome(int result) {
    wants_write_ = false;
    if (result > 0) return {IoStep::Status::done, 1};
    switch (SSL_get_error(ssl_.get(), result)) {
      case SSL_ERROR_WANT_READ:
        return {IoStep::Status::would_block, 0};
      case SSL_ERROR_WANT_WRITE:
        wants_write_ = true;
        return {IoStep::Status::would_block, 0};
      case SSL_ERROR_ZERO_RETURN:
        return {IoStep::Status::end, 0};
      default:
        break;
    }
    failed_ = true;
    const int system_error = errno;
    const bool verifies = (SSL_get_verify_mode(ssl_.get()) & SSL_VERIFY_PEER) != 0;
    const long verdict = SSL_get_verify_result(ssl_.get());
    if (verifies && !SSL_is_init_finished(ssl_.get()) && verdict != X509_V_OK) {
      error_ = std::string("certificate: ") + X509_verify_cert_error_string(verdict);
      failed_for_good_ = true;
    } else if (ERR_peek_last_error() == 0 && system_error != 0) {
      error_ = std::strerror(system_error);
    } else {
      error_ = openssl_error();
      // What came was no TLS.
      failed_for_good_ = ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_WRONG_VERSION_NUMBER;
    }
    return {IoStep::Status::failed, 0};
  }

  SslPtr ssl_;
  std::string error_;
  bool wants_write_ = false;
  bool read_wants_write_ = false;
  bool drained_ = true;  // the last read found nothing: what OpenSSL still holds is less than a record
  bool failed_ = false;
  bool failed_for_good_ = false;
};

// OpenSSL writes with write(2), which raises SIGPIPE when the peer is gone; we want the error. Leaves a handler alone.
void ignore_broken_pipes() {
  [[maybe_unused]] static const bool once = [] {
    struct sigaction current{};
    if (::sigaction(SIGPIPE, nullptr, &current) == 0 && current.sa_handler == SIG_DFL) std::signal(SIGPIPE, SIG_IGN);
    return true;
  }();
}

SslContextPtr make_context(const SSL_METHOD* method) {
  ignore_broken_pipes();
  ERR_clear_error();  // what is noted from here on is about this context
  SslContextPtr context(SSL_CTX_new(method), SslDeleter{});
  if (!context) throw std::runtime_error("TLS: " + openssl_error());
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  // A peer that asks for handshake after handshake costs far more than it spends. TLS 1.3 has no such thing.
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION);
  // Buffers are given back while a connection is idle: an idle TLS stream costs a few KiB instead of 34.
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context.get(), 1);
  return context;
}

}  // namespace

std::unique_ptr<TlsWire> make_tls_wire(Socket socket, const SslContextPtr& context, TlsWire::Role role,
                                       const std::string& server_name) {
  return std::make_unique<OpenSslWire>(std::move(socket), context, role, server_name);
}

SslContextPtr make_client_tls(const std::string& ca_file, bool verify) {
  SslContextPtr context = make_context(TLS_client_method());
  if (!verify) return context;
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  const bool loaded = ca_file.empty() ? SSL_CTX_set_default_verify_paths(context.get()) == 1
                                      : SSL_CTX_load_verify_file(context.get(), ca_file.c_str()) == 1;
  if (!loaded) throw unusable(ca_file, "certificate authorities");
  return context;
}

SslContextPtr make_server_tls(const std::string& certificate_file, const std::string& key_file) {
  SslContextPtr context = make_context(TLS_server_method());
  if (SSL_CTX_use_certificate_chain_file(context.get(), certificate_file.c_str()) != 1)
    throw unusable(certificate_file, "the certificate");
  if (SSL_CTX_use_PrivateKey_file(context.get(), key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1)
    throw unusable(key_file, "the certificate's key");
  SSL_CTX_set_alpn_select_cb(
      context.get(),
      [](SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in, unsigned int in_size,
         void*) {
        static const unsigned char http11[] = "\x08http/1.1";
        return SSL_select_next_proto(const_cast<unsigned char**>(out), out_size, http11, sizeof http11 - 1, in,
                                     in_size) == OPENSSL_NPN_NEGOTIATED
                   ? SSL_TLSEXT_ERR_OK
                   : SSL_TLSEXT_ERR_NOACK;
      },
      nullptr);
  return context;
}

}  // namespace weir::net
