// A device that passes every call on to another, and what is done before and after its ops: for what
// watches a device rather than computes.
#pragma once
#include "src/device/device.h"
#include "src/device/op_id.h"

namespace pg {

class ForwardingOps : public Ops {
 public:
  explicit ForwardingOps(Ops& inner) : inner_(inner) {}

#include "src/device/op_overrides.inc"
  void newton_schulz_of_batches(std::span<const MatricesOut> us,
                                std::span<const NewtonSchulzCoefficients> steps,
                                NewtonSchulzStart start) override;
  int64_t packed_bytes(DType w, int64_t in, int64_t out) const override {
    return inner_.packed_bytes(w, in, out);
  }
  void pack(void* packed, In w, int64_t in, int64_t out) override {
    before_call();
    inner_.pack(packed, w, in, out);
    after_call();
  }

 protected:
  virtual void before_op(OpId /*op*/) {}
  virtual void before_call() {}  // of an op, or of pack()
  virtual void after_call() {}

 private:
  // One call: what comes before it is done, what comes after is due when the expression ends.
  class Call {
   public:
    explicit Call(ForwardingOps& ops) : ops_(ops) {}
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call() { ops_.after_call(); }
    Ops* operator->() const { return &ops_.inner_; }

   private:
    ForwardingOps& ops_;
  };
  Call call(OpId op) {
    before_op(op);
    before_call();
    return Call(*this);
  }

  Ops& inner_;
};

// Passes all but the ops on.
class ForwardingDevice : public Device {
 public:
  explicit ForwardingDevice(Device& inner) : inner_(inner) {}  // which must outlive this

  std::string_view name() const override { return inner_.name(); }
  DType compute_dtype() const override { return inner_.compute_dtype(); }
  bool rows_are_independent() const override { return inner_.rows_are_independent(); }
  bool memory_is_host() const override { return inner_.memory_is_host(); }
  void* allocate(size_t bytes) override { return inner_.allocate(bytes); }
  void release(void* memory) override { inner_.release(memory); }
  void upload(void* to, const void* from, size_t bytes) override { inner_.upload(to, from, bytes); }
  void download(void* to, const void* from, size_t bytes) override {
    inner_.download(to, from, bytes);
  }
  void copy(void* to, const void* from, size_t bytes) override { inner_.copy(to, from, bytes); }
  void start_download(void* to, const void* from, size_t bytes) override {
    inner_.start_download(to, from, bytes);
  }
  uint64_t record() override { return inner_.record(); }
  bool is_done(uint64_t event) override { return inner_.is_done(event); }
  void wait(uint64_t event) override { inner_.wait(event); }
  void synchronize() override { inner_.synchronize(); }
  DevicePeak measure_peak() override { return inner_.measure_peak(); }
  double measure_matmul() override { return inner_.measure_matmul(); }

 protected:
  Device& inner() const { return inner_; }

 private:
  Device& inner_;
};

}  // namespace pg
