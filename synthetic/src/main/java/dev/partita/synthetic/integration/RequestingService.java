package dev.partita.synthetic.integration;

import dev.partita.hypervisor.TimeSource;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.jspecify.annotations.Nullable;

/// What the services have in common that ask the guest and want an answer: one request is with the
/// guest at a time, the others wait, and each has a time limit. Linux's drivers hold one request in
/// static memory, and hand it to a daemon (`drivers/hv/hv_utils_transport.c`).
///
/// A request whose time is over fails here; the guest may still be busy with it, so that the next
/// one goes out only when it has answered, however late. State is guarded by the object's monitor.
abstract class RequestingService extends IntegrationService {
  /// Requests that wait, at most.
  private static final int MOST_WAITING = 64;

  /// Ordinary requests are answered within moments. Linux's driver gives its daemon 30 seconds
  /// (HV_UTIL_TIMEOUT), and answers for it then.
  static final long LIMIT_NANOS = 40_000_000_000L;

  private final TimeSource time;
  private final TimeSource.Timer deadlines;
  private final ArrayDeque<Request> waiting = new ArrayDeque<>();
  private @Nullable Request current;
  private int awaited = NOT_SENT;
  private int awaitedOperation;

  /// @param deadline in {@link TimeSource#nanoTime} terms
  private record Request(
      int operation, byte[] body, long deadline, CompletableFuture<byte[]> answer) {}

  RequestingService(UUID interfaceId, UUID instanceId, int type, TimeSource time, int... versions) {
    super(interfaceId, instanceId, type, time, versions);
    this.time = time;
    this.deadlines = time.timer(this::expire);
  }

  /// Whether the guest can be asked: its driver is there, and has agreed on a version. Any thread.
  public final synchronized boolean isAvailable() {
    return agreedVersion() != 0;
  }

  /// Asks, when those before are through. With the monitor held.
  ///
  /// @param operation comes back in {@link #settled}
  /// @param limitNanos after which the answer is {@link GuestRefusalException#TIMED_OUT}
  /// @return the body of the answer; fails with {@link GuestRefusalException} alone
  final CompletableFuture<byte[]> ask(int operation, byte[] body, long limitNanos) {
    return ask(operation, body, limitNanos, false);
  }

  /// Asks before all those that wait.
  final void askNext(int operation, byte[] body) {
    ask(operation, body, LIMIT_NANOS, true);
  }

  private CompletableFuture<byte[]> ask(int operation, byte[] body, long limitNanos, boolean next) {
    var answer = new CompletableFuture<byte[]>();
    if (agreedVersion() == 0) {
      fail(answer, GuestRefusalException.NOT_CONNECTED);
    } else if (waiting.size() >= MOST_WAITING) {
      fail(answer, GuestRefusalException.BUSY);
    } else {
      var request = new Request(operation, body, time.nanoTime() + limitNanos, answer);
      if (next) {
        waiting.addFirst(request);
      } else {
        waiting.addLast(request);
      }
      armDeadline();
      sendNext();
    }
    return answer;
  }

  /// Asks, and waits for the answer. Not on a channel's thread, and without the monitor.
  ///
  /// @return the body of the answer
  final byte[] exchange(int operation, byte[] body, long limitNanos)
      throws GuestRefusalException, InterruptedException {
    CompletableFuture<byte[]> answer;
    synchronized (this) {
      answer = ask(operation, body, limitNanos);
    }
    return await(answer);
  }

  static byte[] await(CompletableFuture<byte[]> answer)
      throws GuestRefusalException, InterruptedException {
    try {
      return answer.get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof GuestRefusalException refusal) {
        throw new GuestRefusalException(refusal.status());
      }
      throw new IllegalStateException(e);
    }
  }

  /// Requests that wait for those before.
  final synchronized int requestsWaiting() {
    return waiting.size();
  }

  private static void fail(CompletableFuture<byte[]> answer, int status) {
    answer.completeExceptionally(new GuestRefusalException(status));
  }

  private void sendNext() {
    var next = waiting.peek();
    if (next == null || awaited != NOT_SENT) {
      return;
    }
    int transaction = transact(next.body());
    if (transaction != NOT_SENT) {
      waiting.remove();
      current = next;
      awaited = transaction;
      awaitedOperation = next.operation();
    }
  }

  private void armDeadline() {
    long earliest = current == null ? Long.MAX_VALUE : current.deadline();
    for (var each : waiting) {
      earliest = Math.min(earliest, each.deadline());
    }
    if (earliest == Long.MAX_VALUE) {
      deadlines.cancel();
    } else {
      deadlines.arm(earliest);
    }
  }

  private void expire() {
    List<CompletableFuture<byte[]>> late = new ArrayList<>();
    synchronized (this) {
      long now = time.nanoTime();
      var asked = current;
      if (asked != null && asked.deadline() <= now) {
        current = null;
        late.add(asked.answer());
        overdue(asked.operation(), true);
      }
      List<Integer> dropped = new ArrayList<>();
      waiting.removeIf(
          each -> {
            boolean over = each.deadline() <= now;
            if (over) {
              late.add(each.answer());
              dropped.add(each.operation());
            }
            return over;
          });
      dropped.forEach(operation -> overdue(operation, false));
      armDeadline();
    }
    late.forEach(each -> fail(each, GuestRefusalException.TIMED_OUT));
  }

  @Override
  final void received(IntegrationMessage answer) {
    if (awaited == NOT_SENT || answer.transaction() != awaited) {
      return;
    }
    var asked = current;
    int operation = awaitedOperation;
    awaited = NOT_SENT;
    current = null;
    settled(operation, answer.status());
    if (asked != null) {
      if (answer.status() == 0) {
        asked.answer().complete(answer.body());
      } else {
        fail(asked.answer(), answer.status());
      }
    }
    sendNext();
    armDeadline();
  }

  @Override
  void begin() {
    awaited = NOT_SENT;
  }

  @Override
  final void roomAvailable() {
    sendNext();
  }

  @Override
  void ended() {
    deadlines.cancel();
    awaited = NOT_SENT;
    var asked = current;
    current = null;
    if (asked != null) {
      fail(asked.answer(), GuestRefusalException.NOT_CONNECTED);
    }
    waiting.forEach(each -> fail(each.answer(), GuestRefusalException.NOT_CONNECTED));
    waiting.clear();
  }

  /// The guest has answered a request, perhaps one whose time was over, or one from before the
  /// partition was saved. Called before the request's future completes.
  void settled(int operation, int status) {}

  /// A request's time is over.
  ///
  /// @param sent whether the guest has it, and may still answer; else it never gets it
  void overdue(int operation, boolean sent) {}

  // --- saved state ---

  /// The part of the state that is common to all. Only while the bus is paused.
  public final synchronized RequestingState requestingState() {
    return new RequestingState(state(), awaited, awaitedOperation);
  }

  /// Takes the common part over, before the bus does its own. What was asked goes on; those who
  /// asked are gone.
  public final synchronized void restore(RequestingState state) {
    restore(state.service());
    awaited =
        state.service().version() != 0 && state.awaited() >= 0 && state.awaited() <= 0xFF
            ? state.awaited()
            : NOT_SENT;
    awaitedOperation = state.awaitedOperation();
  }
}
