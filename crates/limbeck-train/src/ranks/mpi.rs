//! Sums by MPI: for clusters whose nodes `mpirun` starts.

use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives};

use super::{Collective, RanksError};

/// One process of an MPI world.
pub struct World {
    communicator: SimpleCommunicator,
    sums: Vec<f32>,
    // Ends MPI when dropped, after what uses it.
    _universe: Universe,
}

impl World {
    /// Joins the world that `mpirun` made. All calls have to come from the thread that joins.
    ///
    /// # Errors
    /// When this process has joined one before.
    pub fn join() -> Result<World, RanksError> {
        let reason = || "MPI is in use already".to_owned();
        let universe = mpi::initialize_with_threading(Threading::Funneled).map(|both| both.0);
        let universe = universe.ok_or_else(|| RanksError::Rendezvous {
            rank: 0,
            count: 0,
            reason: reason(),
        })?;
        let communicator = universe.world();
        Ok(World { communicator, sums: Vec::new(), _universe: universe })
    }
}

impl Collective for World {
    fn rank(&self) -> usize {
        self.communicator.rank() as usize
    }

    fn count(&self) -> usize {
        self.communicator.size() as usize
    }

    fn sum(&mut self, values: &mut [f32]) -> Result<(), RanksError> {
        self.sums.resize(values.len(), 0.0);
        self.communicator.all_reduce_into(&*values, &mut self.sums[..], SystemOperation::sum());
        values.copy_from_slice(&self.sums);
        Ok(())
    }
}
