// Cancels a call at Ctrl-C, or after a while.
#pragma once

#include <grpcpp/client_context.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include <algorithm>
#include <atomic>
#include <thread>

// Make it before any other thread: those that follow leave its signals to it.
class Canceller {
 public:
  explicit Canceller(grpc::ClientContext& call) {
    sigemptyset(&signals_);
    for (const int signal : {SIGINT, SIGALRM, kDone}) sigaddset(&signals_, signal);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    thread_ = std::thread([this, &call] { Wait(call); });
  }

  ~Canceller() {
    pthread_kill(thread_.native_handle(), kDone);
    thread_.join();
  }

  void CancelIn(double seconds) {
    seconds = std::max(seconds, 1e-3);  // 0 would switch the timer off
    itimerval timer{};
    timer.it_value.tv_sec = static_cast<time_t>(seconds);
    timer.it_value.tv_usec =
        static_cast<suseconds_t>((seconds - static_cast<double>(timer.it_value.tv_sec)) * 1e6);
    setitimer(ITIMER_REAL, &timer, nullptr);
  }

  bool cancelled() const { return cancelled_; }

 private:
  static constexpr int kDone = SIGUSR1;

  void Wait(grpc::ClientContext& call) {
    for (int signal; sigwait(&signals_, &signal) == 0 && signal != kDone;) {
      cancelled_ = true;
      call.TryCancel();
    }
  }

  sigset_t signals_;
  std::atomic<bool> cancelled_ = false;
  std::thread thread_;
};
