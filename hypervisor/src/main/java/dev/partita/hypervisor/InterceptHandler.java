package dev.partita.hypervisor;

/// Handles what a virtual processor cannot do by itself. Called on the processor's own thread, in
/// the
/// middle of the instruction; several processors call at the same time.
@FunctionalInterface
public interface InterceptHandler {
  /// Handles one intercept; answers go into the intercept itself. An intercept object is reused by
  /// its
  /// processor: it is valid only until this method returns.
  ///
  /// A handler must not throw for anything that a guest can cause; an exception ends the processor
  /// with {@link Intercept.Shutdown.Reason#INTERNAL_ERROR}.
  void handle(VirtualProcessor processor, Intercept intercept);
}
