// A certificate authority for the tests: makes certificates in memory and as files in a folder of its own.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "support/files.h"
#include "tls/context.h"

namespace bulkhead::tls {

using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

struct Part {
  int type = MBSTRING_UTF8;
  std::string text;
};

class Authority {
 public:
  explicit Authority(const std::string& name)
      : folder_("/tmp/bulkhead-tls-test-" + std::to_string(::getpid()) + "-" + name),
        key_(new_key()),
        own_(certificate({{.text = name}}, key_.get(), "", true)) {
    make_folders(folder_, 0700);
    write("ca.pem", own_.get(), nullptr);
  }
  ~Authority() { remove_folder(folder_); }
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  static Key new_key() { return {EVP_EC_gen("P-256"), EVP_PKEY_free}; }

  /// Signed by this authority; each of `names` is a common name. `hours`: how long from now it is good.
  Certificate certificate(const std::vector<Part>& names, EVP_PKEY* key, const std::string& alternative = "",
                          bool is_ca = false, long hours = 1) const {
    Certificate made(X509_new(), X509_free);
    X509_set_version(made.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), ++serial_);
    X509_gmtime_adj(X509_getm_notBefore(made.get()), -7200);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), hours * 3600);
    for (const Part& name : names) {
      X509_NAME_add_entry_by_NID(X509_get_subject_name(made.get()), NID_commonName, name.type,
                                 reinterpret_cast<const unsigned char*>(name.text.data()), static_cast<int>(name.text.size()),
                                 -1, 0);
    }
    X509_set_issuer_name(made.get(), X509_get_subject_name(own_ ? own_.get() : made.get()));
    X509_set_pubkey(made.get(), key);
    if (is_ca) {
      extend(made.get(), NID_basic_constraints, "critical,CA:TRUE");
    }
    if (!alternative.empty()) {
      extend(made.get(), NID_subject_alt_name, alternative);
    }
    X509_sign(made.get(), key_.get(), EVP_sha256());
    return made;
  }

  /// The paths of a new certificate and key, and of this authority.
  Files files(const std::string& name, long hours = 1) const {
    Key key = new_key();
    Certificate made = certificate({{.text = name}}, key.get(), "IP:127.0.0.1,DNS:engine.example", false, hours);
    write(name + ".pem", made.get(), nullptr);
    write(name + ".key", nullptr, key.get());
    return {.ca = folder_ / "ca.pem", .certificate = folder_ / (name + ".pem"), .key = folder_ / (name + ".key")};
  }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  static void extend(X509* made, int which, const std::string& value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, which, value.c_str());
    X509_add_ext(made, extension, -1);
    X509_EXTENSION_free(extension);
  }
  void write(const std::string& file, X509* made, EVP_PKEY* key) const {
    std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), BIO_free);
    if (made != nullptr) {
      PEM_write_bio_X509(bio.get(), made);
    } else {
      PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
    }
    char* bytes = nullptr;
    long size = BIO_get_mem_data(bio.get(), &bytes);
    replace_file(folder_ / file, {bytes, static_cast<size_t>(size)}, 0600, Durability::kUnsynced);
  }

  std::filesystem::path folder_;
  Key key_;
  Certificate own_{nullptr, X509_free};
  mutable long serial_ = 0;
};

}  // namespace bulkhead::tls
